"""Statistical analyses of trials: arrays in, frozen records out; nothing here knows biology."""
