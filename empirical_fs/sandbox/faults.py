"""Decides which fault of the plan applies to a request."""

import random
import time
from dataclasses import dataclass
from typing import Any, Literal

from empirical_fs.sandbox.plan import Action, Fault, Plan

CallKind = Literal["list", "get", "patch", "object", "head"]


@dataclass(frozen=True, slots=True)
class Call:
    """What a request asks for, before its key or signature is checked."""

    kind: CallKind
    side: Literal["api", "store"]
    resource_id: Any = None
    """The `id` field of the resource it is about; None for the listing."""
    page: int | None = None


class Misbehaviour:
    """The current plan, with counts of how often its faults applied."""

    def __init__(self, plan: Plan) -> None:
        """Start with `plan`."""
        self.adopt(plan)

    def adopt(self, plan: Plan) -> None:
        """Use `plan` from the next request on; all counts of faults start at 0."""
        self.plan = plan
        self._rules = [_Rule(fault) for fault in plan.faults]
        self._random = random.Random(plan.seed)  # noqa: S311 - for repeatable faults, not for secrets

    def now(self) -> float:
        """The server's time, in seconds since the epoch."""
        return time.time() + self.plan.clock_offset_s

    def action_for(self, call: Call, beside: int = 0) -> Action | None:
        """The action of the first fault that applies to this request; None if none does.

        `beside` is the number of other requests to the same side (API or store) under way.
        """
        for rule in self._rules:
            if rule.hits(call, beside, self._random):
                return rule.fault.action
        return None


class _Rule:
    """One fault, and counts of how often it matched and applied."""

    def __init__(self, fault: Fault) -> None:
        self.fault = fault
        self._matched = 0
        self._hit = 0

    def hits(self, call: Call, beside: int, chance: random.Random) -> bool:
        fault = self.fault
        if not self._matches(call) or beside < (fault.beside or 0) or self._hit == fault.times:
            return False
        self._matched += 1
        turn = self._matched - fault.skip
        if turn < 1 or turn % fault.every or chance.random() >= fault.probability:
            return False
        self._hit += 1
        return True

    def _matches(self, call: Call) -> bool:
        fault = self.fault
        return (
            fault.on in ("any", call.kind)
            and (fault.ids is None or call.resource_id in fault.ids)
            and (fault.pages is None or call.page in fault.pages)
        )
