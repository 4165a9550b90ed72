"""Reads a file of ours with somebody else's parser and tells as JSON what that found.

read.py ics FROM TO < FILE    the events, and the days from year FROM to year TO on which each falls
read.py vcf < FILE            the cards
"""

import datetime
import json
import sys


def events(file, first, last):
    import icalendar
    from dateutil.rrule import rrulestr

    calendar = icalendar.Calendar.from_ical(file)
    # A calendar has at least one component (RFC 5545, section 3.4), also without an event.
    assert calendar.subcomponents and not calendar.errors, calendar.errors
    for event in calendar.walk("VEVENT"):
        start = event["DTSTART"].dt
        # A whole day is a date and no moment.
        assert type(start) is datetime.date, start
        midnight = datetime.datetime.combine(start, datetime.time())
        rule = rrulestr(event["RRULE"].to_ical().decode(), dtstart=midnight)
        days = rule.between(
            datetime.datetime(first, 1, 1), datetime.datetime(last, 12, 31), inc=True
        )
        yield {
            "uid": str(event["UID"]),
            "summary": str(event["SUMMARY"]),
            "start": start.isoformat(),
            "lasts": (event["DTEND"].dt - start).days,
            "description": str(event["DESCRIPTION"]),
            "transparent": str(event["TRANSP"]) == "TRANSPARENT",
            "stamped": event["DTSTAMP"].dt.tzinfo is not None,
            "days": [day.date().isoformat() for day in days],
            "faults": [str(error) for error in event.errors],
        }


def cards(file):
    import vobject

    for card in vobject.readComponents(file.decode()):
        text = lambda name: getattr(card, name).value if hasattr(card, name) else None
        yield {
            "version": text("version"),
            "uid": text("uid"),
            "fn": text("fn"),
            "family": card.n.value.family,
            "given": card.n.value.given,
            "email": text("email"),
            "tel": text("tel"),
            "bday": text("bday"),
            "note": text("note"),
        }


what, *arguments = sys.argv[1:]
content = sys.stdin.buffer.read()
found = events(content, *map(int, arguments)) if what == "ics" else cards(content)
json.dump(list(found), sys.stdout)
