"""Who is calling and what they may do.

Keys, scopes, rates, and access to one's own things only..
"""
