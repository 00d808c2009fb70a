"""Velocell: where is each disk-like object in an event camera's view, and how fast does it move?"""
