"""The page as a process."""
