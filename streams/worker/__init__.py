"""The transactional worker: a member of its group that commits what it has made with the offsets it was made of."""
