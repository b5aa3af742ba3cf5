"""The whole service for the journeys: the fixtures of the service's own tests."""

from tests.deployments.conftest import first_service, make_service, service

__all__ = ["first_service", "make_service", "service"]
