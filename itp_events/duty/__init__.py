"""Finds the people who answer an audience at a site on a day: rotas, absences and deputies.

This package sends nothing, and knows no addresses.
"""
