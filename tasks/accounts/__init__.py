"""Accounts: who may ask and state, by what proof they are known, and every change of them.

Who may state which event is said by `flows.study.roles`; how a request proves its account by
`deployments.api.http`.
"""
