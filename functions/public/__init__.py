"""Public functions: they serve the page, the plans and the API's description.

They need no token and read no table.
"""
