"""Networks in files of other formats: graphs, checks, model cards."""
