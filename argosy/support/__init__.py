"""What somebody who helps with an installation needs to see of it, in one file, without its secrets and payloads."""
