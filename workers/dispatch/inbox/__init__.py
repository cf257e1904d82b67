"""The inbox: what is addressed to turns that exist (signals, cancels, resumes, timers, words of former owners)."""
