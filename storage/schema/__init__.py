"""Declare the tables: columns, constraints, predicates and the database's clock.

The other packages contain the statements.
"""
