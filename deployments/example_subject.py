"""The findings of screening of an example subject, for examples, previews, measurements and storms.

They meet every criterion of the built-in protocol. No person has them.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import Any

# A woman on a maintenance medicine: she has the most findings that an enrolment may state.
ELIGIBLE: MappingProxyType[str, Any] = MappingProxyType(
    {
        "age_years": 34,
        "sex": "female",
        "itp_months": 14,
        "failed": {"first_line": True, "second_line": True, "rituximab": True, "splenectomy": False},
        "maintenance": {"drug": "danazol", "stable_weeks": 6},
        "alt_x_uln": 0.8,
        "ast_x_uln": 0.9,
        "bilirubin_x_uln": 0.7,
        "creatinine_x_uln": 0.9,
        "childbearing": True,
        "pregnancy_test": "negative",
        "breastfeeding": False,
        "contraception": True,
    }
)
# A man: the questions about childbearing do not concern him.
ELIGIBLE_MAN: MappingProxyType[str, Any] = MappingProxyType(
    {
        name: ELIGIBLE[name]
        for name in ELIGIBLE
        if name not in ("pregnancy_test", "breastfeeding", "contraception")
    }
    | {"sex": "male", "childbearing": False}
)
