"""What every space, strategy, score and optimizer must do, as functions that tests call."""
