"""What spans and log lines tell: who called whom, where an error began, what is secret. Pure."""
