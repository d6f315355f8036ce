"""The page: what each of its pages shows, and to whom."""
