"""Functions that anyone may call: they serve the page, the plans and the API's description.

They read no table.
"""
