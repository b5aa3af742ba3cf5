"""Prefect's server as a child: what it gets to know."""

from deployments.server import DATABASE, child_environment

SECRETS = {
    "ITP_REDCAP_TOKEN": "s3cret",
    "ITP_DATABASE_URL": "postgresql://study:s3cret@db/study",
    "ITP_SECRET_KEY": "s3cret",
    "ITP_PREFECT_AUTH": "operator:s3cret",
    "PGPASSWORD": "s3cret",
    "AWS_SECRET_ACCESS_KEY": "s3cret",
    "HTTPS_PROXY": "http://user:s3cret@proxy:3128",
}
NEEDED = {"PATH": "/bin", "HOME": "/home/itp", "LC_ALL": "C.UTF-8", "TZ": "UTC", "PYTHONPATH": "/srv/itp"}
PREFECT = {"PREFECT_SERVER_API_AUTH_STRING": "operator:its own", "PREFECT_UI_API_URL": "https://prefect"}


def test_the_child_gets_what_it_needs_and_no_secret_of_the_study() -> None:
    assert child_environment(SECRETS | NEEDED | PREFECT) == NEEDED | PREFECT


def test_what_the_address_of_its_own_database_leaves_out_is_passed_on() -> None:
    own = {DATABASE: "postgresql+asyncpg://prefect@db/prefect", "PGPASSFILE": "/run/secrets/pgpass"}
    assert child_environment(SECRETS | own) == own | {"PGPASSWORD": SECRETS["PGPASSWORD"]}
