"""The data plane's doors: which path is which endpoint in which dialect."""
