"""One verb, one module: what a command does, from files to files."""
