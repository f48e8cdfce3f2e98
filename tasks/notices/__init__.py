"""Notices in Redis for processes that wait; losing one does no harm, as all of them also poll."""
