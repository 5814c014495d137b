"""What everything else stands on: random seeds, module modes, files, locks and long loops."""
