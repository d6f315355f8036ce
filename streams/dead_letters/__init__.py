"""Dead letters as people deal with them: listed, shown to the byte that is wrong, sent again, or done with."""
