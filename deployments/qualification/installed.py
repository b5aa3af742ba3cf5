"""Installation qualification: the program, its packages, the protocol file, the service, the database."""

from __future__ import annotations

import platform
import sqlite3
from importlib import metadata

from deployments.qualification.people import enrolment, record
from deployments.qualification.steps import Scene, Step
from itp_events.protocol.file import load_protocol
from tasks.archive.protocols import installed_protocols

_PROGRAM = "itp-visits"


def _surroundings(scene: Scene) -> None:
    scene.note(f"{_PROGRAM} {metadata.version(_PROGRAM)}, Python {platform.python_version()}")
    scene.note(f"{platform.platform()}, machine {platform.node()}")
    ended = scene.site.itp("doctor", "--json")
    scene.expect(ended.returncode == 0, "itp doctor finds no failure", ended.stdout or ended.stderr)


def _protocol(scene: Scene) -> None:
    for each in installed_protocols(scene.site.protocol):
        scene.note(f"{each.id} version {each.version}: {each.name}, SHA-256 {each.fingerprint}")
    protocol = load_protocol(scene.site.protocol)
    scene.expect(protocol.visits, f"the file holds together, with {len(protocol.visits)} visits")


def _service(scene: Scene) -> None:
    scene.site.start()
    for part in ("database", "prefect"):
        scene.site.until(lambda part=part: _works(scene, part), f"{part} to work")  # type: ignore[misc]
        scene.note(f"the service answers that its {part} works")


def _works(scene: Scene, part: str) -> bool:
    return bool(scene.site.get("/healthz")[part]["status"] == "ok")


def _append_only(scene: Scene) -> None:
    record(scene, enrolment(scene, "QUAL-IQ"))
    for statement in ("UPDATE events SET type = 'itp.changed'", "DELETE FROM events"):
        scene.expect(_refused(scene, statement), f"the database refuses: {statement}")


def _refused(scene: Scene, statement: str) -> bool:
    connection = sqlite3.connect(scene.site.database, timeout=10)
    try:
        connection.execute(statement)
    except sqlite3.IntegrityError:
        return True
    finally:
        connection.rollback()
        connection.close()
    return False


STEPS = (
    Step(
        "IQ-1",
        "The program, its packages and the machine are as they must be.",
        ("RUN-07", "SEC-05"),
        _surroundings,
    ),
    Step("IQ-2", "The protocol file is the intended one, and holds together.", ("PRO-02",), _protocol),
    Step(
        "IQ-3",
        "The service starts on an empty folder, and its parts answer.",
        ("RUN-01",),
        _service,
        vital=True,
    ),
    Step("IQ-4", "The database refuses to change or remove an entry.", ("LOG-01",), _append_only),
)
