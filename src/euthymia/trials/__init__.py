"""Virtual trials: their design, how they are run, and how their data are analysed."""
