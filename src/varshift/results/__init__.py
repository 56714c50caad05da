"""The records and results that verbs give back: plain values that pickle and hold no model."""

from varshift._base import Record, Result, Undoable
from varshift.results.catalogue import RULES, Rule
from varshift.results.causes import OtherNorms
from varshift.results.diagnosis import Contribution, Diagnosis, WorstPlace
from varshift.results.expected import Expected
from varshift.results.explanation import Blame, Explanation, Factors, Output
from varshift.results.figure import Figure
from varshift.results.findings import Finding, Findings
from varshift.results.footprint import Footprint, FootprintSite, Instead
from varshift.results.grading import GRADES, Grade, grade_of
from varshift.results.measurement import Measurement, Site, Statistics
from varshift.results.monitor import Monitored, MonitoredNorm, Monitoring
from varshift.results.note import Note, NoteKind
from varshift.results.origin import LineOf, OriginLine
from varshift.results.prediction import Prediction
from varshift.results.recalibration import Change, Recalibration
from varshift.results.repair import Candidate, Repair, Rewrote
from varshift.results.rewrite import Patch, Rewrite, Rewritten
from varshift.results.score import Score, Trial
from varshift.results.staleness import StaleCause, Staleness
from varshift.results.steps import Step, StepKind
from varshift.results.structure import (
    Layer,
    Line,
    Noise,
    Norm,
    NotShown,
    Proof,
    Route,
    Structure,
)
from varshift.results.unseen import Unseen, UnseenKind

__all__ = [
    "GRADES",
    "RULES",
    "Blame",
    "Candidate",
    "Change",
    "Contribution",
    "Diagnosis",
    "Expected",
    "Explanation",
    "Factors",
    "Figure",
    "Finding",
    "Findings",
    "Footprint",
    "FootprintSite",
    "Grade",
    "Instead",
    "Layer",
    "Line",
    "LineOf",
    "Measurement",
    "Monitored",
    "MonitoredNorm",
    "Monitoring",
    "Noise",
    "Norm",
    "NotShown",
    "Note",
    "NoteKind",
    "OriginLine",
    "OtherNorms",
    "Output",
    "Patch",
    "Prediction",
    "Proof",
    "Recalibration",
    "Record",
    "Repair",
    "Result",
    "Rewrite",
    "Rewritten",
    "Rewrote",
    "Route",
    "Rule",
    "Score",
    "Site",
    "StaleCause",
    "Staleness",
    "Statistics",
    "Step",
    "StepKind",
    "Structure",
    "Trial",
    "Undoable",
    "Unseen",
    "UnseenKind",
    "WorstPlace",
    "grade_of",
]
