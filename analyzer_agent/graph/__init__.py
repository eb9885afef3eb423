"""The agent: a language model that calls tools until it can answer."""

from analyzer_agent.graph.agent import Agent, open_saver
from analyzer_agent.graph.state import Limits, State, outcome_of, usage_of
from analyzer_agent.toolbox.answer_check import NO_ANSWER

__all__ = ["NO_ANSWER", "Agent", "Limits", "State", "open_saver", "outcome_of", "usage_of"]
