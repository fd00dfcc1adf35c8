"""`/sandbox/plan` and `/sandbox/requests`: the sandbox's own endpoints, for tests."""

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from empirical_fs.sandbox.faults import Misbehaviour
from empirical_fs.sandbox.journal import Journal
from empirical_fs.sandbox.plan import BadPlan, parse_plan
from empirical_fs.sandbox.responses import api_error


class Control:
    """Reads and replaces the plan, reads and clears the journal; its own requests are not in the journal."""

    def __init__(self, misbehaviour: Misbehaviour, journal: Journal) -> None:
        """Control this plan and this journal."""
        self._misbehaviour = misbehaviour
        self._journal = journal

    async def plan(self, request: Request) -> Response:
        """The current plan (GET); PUT first replaces it, and answers 400 with the reason if it is bad."""
        if request.method == "PUT":
            try:
                self._misbehaviour.adopt(parse_plan(await request.body()))
            except BadPlan as error:
                return api_error(400, str(error))
        return _json(self._misbehaviour.plan)

    async def requests(self, request: Request) -> Response:
        """The journal (GET); DELETE first empties it."""
        if request.method == "DELETE":
            self._journal.clear()
        return _json(self._journal.report())


def _json(content: object) -> Response:
    return Response(msgspec.json.encode(content), media_type="application/json")
