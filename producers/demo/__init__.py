"""The demo: a small shop of five services, what sends requests to it, and what shows and checks what became of them."""
