"""The protocol with reminders to the subjects themselves, as the example in `examples/` adds them."""

from pathlib import Path

import yaml

from itp_events.protocol.file import BUILT_IN
from itp_events.protocol.model import Protocol
from tests.support.study import Json, altered

EXAMPLE = Path(__file__).parents[2] / "examples" / "participant.yaml"


def add_participant(data: Json) -> None:
    """Add the example to a protocol's data."""
    added = yaml.load(EXAMPLE.read_text(encoding="utf-8"), yaml.CSafeLoader)
    data["alerts"] |= added["alerts"]
    data["participant"] = added["participant"]


def reminding() -> Protocol:
    """The built-in protocol with reminders to the subjects themselves."""
    return altered(add_participant)


def reminding_file(path: Path) -> Path:
    """The protocol of `reminding()` as a file."""
    data = yaml.load(BUILT_IN.read_text(encoding="utf-8"), yaml.CSafeLoader)
    add_participant(data)
    path.write_text(
        yaml.dump(data, Dumper=yaml.CSafeDumper, allow_unicode=True, sort_keys=False), encoding="utf-8"
    )
    return path
