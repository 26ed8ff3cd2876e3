"""FastAPI: a run of each background task, under `uvicorn --workers`."""

from contextlib import asynccontextmanager

from fastapi import BackgroundTasks, FastAPI
from loguru import logger

from loghc import HealthSink, job

logger.add(HealthSink())


@asynccontextmanager
async def lifespan(app):
    yield
    await logger.complete()  # uvicorn's workers end by a signal: no exit waits for pings


app = FastAPI(lifespan=lifespan)


@job("sync")
def sync(): ...


@app.post("/sync")
def request(tasks: BackgroundTasks):
    tasks.add_task(sync)
