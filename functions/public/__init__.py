"""Functions that anyone may call: the page, the plans, the API's description. They read no books."""
