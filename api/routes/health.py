"""`/healthz`, `/readyz`, `/metrics`: for operators."""

from fastapi import APIRouter
from fastapi.responses import PlainTextResponse, Response
from prometheus_client import CONTENT_TYPE_LATEST

from api.dependencies.services import Shared
from api.http.problems import Problem
from api.schemas import models
from store.people.accounts import pbx_names

router = APIRouter(tags=["operations"])


@router.get("/healthz", operation_id="healthz", response_class=PlainTextResponse)
async def healthz() -> str:
    """Answer as long as the process runs."""
    return "ok"


@router.get("/readyz", operation_id="readyz", response_class=PlainTextResponse, responses={503: {"model": models.Problem}})
async def readyz(services: Shared, agents: bool = True) -> str:
    """Answer if index and objects take writes, their disks have space, and agents hear their PBXs.

    Else 503 says why not. A load balancer asks with `agents=false`, of what all domains need: an
    agent that hears nothing, or a bucket of one domain that is out of reach, is no reason to send
    calls elsewhere.
    """
    problems = await services.readiness.problems()
    if agents and not problems:
        found = services.agent_links.problems()
        names = await pbx_names(services.store) if found else {}
        problems = tuple(sorted(f"{names[pbx_id]}: {problem}" for pbx_id, problem in found.items()))
        problems += await services.buckets.problems()
    if problems:
        raise Problem(503, "not-ready", "; ".join(problems), headers={"Retry-After": "5"})
    return "ready"


@router.get("/metrics", operation_id="metrics", response_class=PlainTextResponse)
async def metrics(services: Shared) -> Response:
    """Return the metrics in Prometheus' text format."""
    return Response(services.metrics.text(), media_type=CONTENT_TYPE_LATEST)
