"""loguru from a YAML file. `DictConfigurator` makes what "()" names, as for `logging`."""

from logging.config import DictConfigurator
from pathlib import Path

import yaml
from loguru import logger

make = DictConfigurator({}).configure_custom

config = yaml.safe_load(Path("loguru.yaml").read_text(encoding="utf-8"))
for handler in config["handlers"]:
    if isinstance(handler["sink"], dict):
        handler["sink"] = make(handler["sink"])
logger.configure(**config)
