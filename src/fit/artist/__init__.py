"""One name: what its captions and pictures say of it, on one page. The other rooms do the work."""
