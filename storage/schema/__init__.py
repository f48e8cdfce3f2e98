"""The tables: columns, constraints, predicates and the database's clock.

Statements are in the other packages.
"""
