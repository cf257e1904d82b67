"""Records of the log become turns."""
