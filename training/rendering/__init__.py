"""Products as meshes of materials, and mitsuba's view of them: the demo's packshots and AdProd-mini
are rendered with it.

Needs mitsuba and pyoidn (`pip install 'adloom[rendering]'`); a variant must be set before `tracing`
is used.
"""
