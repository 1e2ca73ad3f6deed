"""Bad days of a whole Home Assistant: everything goes wrong at random, then has to come right.

People, calendars and booking systems ask for all there is, several at once; Salto, its doors and
clocks, the network and Home Assistant itself fail. Then all is well for a day, and bookings,
ledger, Salto and keypads have to agree. A seed chooses what is asked for and what fails.

- `houses`: the units of the site, and the stays in them.
- `home`: a Home Assistant that is ended and started again.
- `listening`: what may be logged, and what may be left running.
- `scene`: all that is known of the days so far, and how to ask the integration.
- `people`: what is asked for.
- `weather`: what goes wrong.
- `promises`: what has to be so in the end.
- `days`: how storms and calm days follow each other.
"""
