"""Settings files: frozen structs read from TOML, with errors that name the line and the likely word."""

from edge.config.agent import AgentConfig
from edge.config.check import checked, parse_toml, read_toml
from edge.config.load import Loaded, Read, complete, load_agent, read_agent, read_agent_text
from edge.config.locate import Locator, dotted
from edge.config.remote import remote_settings

__all__ = [
    "AgentConfig",
    "Loaded",
    "Locator",
    "Read",
    "checked",
    "complete",
    "dotted",
    "load_agent",
    "parse_toml",
    "read_agent",
    "read_agent_text",
    "read_toml",
    "remote_settings",
]
