"""The foundation of everything else: random seeds, module modes, files, locks and long loops."""
