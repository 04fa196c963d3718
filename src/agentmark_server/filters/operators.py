"""How fields are compared with values."""

from enum import StrEnum
from typing import Final


class Operator(StrEnum):
    """An operator between a field and a value, as the language writes it."""

    EQUAL = "="
    NOT_EQUAL = "!="
    ABOVE = ">"
    AT_LEAST = ">="
    BELOW = "<"
    AT_MOST = "<="
    CONTAINS = "contains"
    NOT_CONTAINS = "not contains"
    STARTS_WITH = "starts with"
    ENDS_WITH = "ends with"


EQUALITY: Final = frozenset({Operator.EQUAL, Operator.NOT_EQUAL})
ORDER: Final = EQUALITY | {Operator.ABOVE, Operator.AT_LEAST, Operator.BELOW, Operator.AT_MOST}
PARTS: Final = EQUALITY | {Operator.CONTAINS, Operator.NOT_CONTAINS, Operator.STARTS_WITH, Operator.ENDS_WITH}
