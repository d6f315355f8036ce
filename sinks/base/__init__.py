"""The contract of a sink, and the code that runs one."""
