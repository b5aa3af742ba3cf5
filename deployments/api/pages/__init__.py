"""The page for participants, which says nothing of the study; all others are in `deployments.api.web`."""
