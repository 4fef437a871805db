"""The words in which dashboards are described, and the JSON that Grafana makes of them.

In an expression, `{task}` stands for the matchers of the dashboard's variables down to the task (`{task, state="open"}` has one
more), `{job}`, `{instance}` and `{topic}` likewise, and `[rate]` is the range that Grafana takes for rates.
"""

import re

DATASOURCE = {"type": "prometheus", "uid": "${datasource}"}
GREEN, YELLOW, ORANGE, RED, BLUE = "green", "yellow", "orange", "red", "blue"

MATCHERS = {"job": 'job=~"$job"'}
MATCHERS["instance"] = MATCHERS["job"] + ', instance=~"$instance"'
MATCHERS["task"] = MATCHERS["instance"] + ', task=~"$task"'
MATCHERS["topic"] = MATCHERS["instance"] + ', topic=~"$topic"'


def whole(expression):
    """An expression with what it abbreviates written out, on one line."""
    expression = re.sub(r"\{(job|instance|task|topic)(?=[,}])", lambda found: "{" + MATCHERS[found[1]], expression)
    return " ".join(expression.replace("[rate]", "[$__rate_interval]").split())


def query(expression, legend="", form="time_series", instant=False):
    """A question to Prometheus. The legend names each of its series."""
    return {"expr": whole(expression), "legendFormat": legend, "format": form, "instant": instant, "range": not instant,
            "editorMode": "code", "datasource": DATASOURCE}


def at_once(expression, legend=""):
    """A question about now."""
    return query(expression, legend, instant=True)


def quantiles(buckets, *labels):
    """The median and the 99th percentile of a histogram, given by its buckets, for each value of the labels."""
    by = ", ".join(("le",) + labels)
    named = " ".join("{{%s}}" % label for label in labels)
    return [query(f"histogram_quantile({quantile}, sum by ({by}) (rate({buckets}[rate])))", f"{named} {name}".strip())
            for quantile, name in ((0.5, "half"), (0.99, "99 %"))]


def risen(series, *labels):
    """By how much counters have risen, of which many appear with their first count: that is a rise, which `increase` doesn't see."""
    return f"sum by ({', '.join(labels)}) (clamp_min({series} - {series} offset $__rate_interval, 0) or {series} unless {series} offset $__rate_interval)"


def steps(*levels):
    """Colours by value: green at first, then (value, colour) each."""
    return {"mode": "absolute", "steps": [{"value": value, "color": color} for value, color in ((None, GREEN), *levels)]}


def panel(kind, title, says, unit, questions, width, height, options, custom=None, levels=None, most=None, decimals=None):
    questions = [questions] if isinstance(questions, dict) else questions
    targets = [{"refId": chr(ord("A") + at), **one} for at, one in enumerate(questions)]
    defaults = {"unit": unit, "color": {"mode": "thresholds" if kind in ("stat", "bargauge") else "palette-classic"},
                "thresholds": levels or steps(), "mappings": [], "links": links_of(targets)}
    if kind != "heatmap":
        # Nothing that is measured here can be less than nothing.
        defaults["min"] = 0
    for key, value in (("max", 1 if unit == "percentunit" else most), ("decimals", decimals), ("custom", custom)):
        if value is not None:
            defaults[key] = value
    return {"type": kind, "title": title, "description": says, "datasource": DATASOURCE, "targets": targets,
            "fieldConfig": {"defaults": defaults, "overrides": []}, "options": options,
            "gridPos": {"w": width, "h": height}}


def links_of(targets):
    """From a series of an instance to the dashboard of that instance."""
    if not any("{{instance}}" in target["legendFormat"] for target in targets):
        return []
    return [link_to_agent("${__field.labels.instance}")]


def link_to_agent(instance):
    return {"title": "Agent", "url": f"/d/logdrive-agent?${{datasource:queryparam}}&${{job:queryparam}}&var-instance={instance}&${{__url_time_range}}"}


def curves(title, says, unit, questions, stacked=False, width=8, height=8, **more):
    """Values over time."""
    custom = {"drawStyle": "line", "lineWidth": 1, "fillOpacity": 30 if stacked else 8, "showPoints": "never", "spanNulls": False,
              "stacking": {"mode": "normal" if stacked else "none", "group": "A"},
              "thresholdsStyle": {"mode": "dashed" if more.get("levels") else "off"}}
    options = {"legend": {"displayMode": "table", "placement": "bottom", "showLegend": True, "calcs": ["mean", "max", "lastNotNull"]},
               "tooltip": {"mode": "multi", "sort": "desc"}}
    return panel("timeseries", title, says, unit, questions, width, height, options, custom, **more)


REDUCE = {"values": False, "calcs": ["lastNotNull"], "fields": ""}


def number(title, says, unit, questions, width=4, height=4, **more):
    """One number, in the colour of its level."""
    options = {"reduceOptions": REDUCE, "orientation": "auto", "textMode": "auto", "wideLayout": True, "colorMode": "value", "graphMode": "area",
               "justifyMode": "auto", "showPercentChange": False, "percentChangeColorMode": "standard"}
    return panel("stat", title, says, unit, questions, width, height, options, **more)


def bars(title, says, unit, questions, width=8, height=8, **more):
    """A bar for each series, as it is now."""
    options = {"reduceOptions": REDUCE, "orientation": "horizontal", "displayMode": "basic", "valueMode": "color", "namePlacement": "auto",
               "showUnfilled": True, "sizing": "auto", "minVizWidth": 8, "minVizHeight": 16, "maxVizHeight": 300,
               "legend": {"showLegend": False, "displayMode": "list", "placement": "bottom", "calcs": []}}
    return panel("bargauge", title, says, unit, questions, width, height, options, **more)


def heat(title, says, unit, buckets, width=8, height=8):
    """How a histogram's samples are spread, over time."""
    options = {"calculate": False, "cellGap": 1, "color": {"mode": "scheme", "scheme": "Oranges", "exponent": 0.5, "fill": "dark-orange",
                                                          "reverse": False, "steps": 64},
               "exemplars": {"color": "rgba(255,0,255,0.7)"}, "filterValues": {"le": 1e-9}, "legend": {"show": True},
               "rowsFrame": {"layout": "auto"}, "showValue": "never", "tooltip": {"mode": "single", "yHistogram": True},
               "yAxis": {"axisPlacement": "left", "reverse": False, "unit": unit}}
    custom = {"hideFrom": {"legend": False, "tooltip": False, "viz": False}}
    asked = query(f"sum by (le) (increase({buckets}[rate]))", "{{le}}", form="heatmap")
    return panel("heatmap", title, says, "short", asked, width, height, options, custom)


def column(name, unit, expression, **levels):
    """A column of a table: its values have the labels by which the rows are told apart."""
    return {"name": name, "unit": unit, "expression": expression, **levels}


def only_labels(expression):
    """No column: it brings labels to the rows."""
    return {"name": "", "unit": "short", "expression": expression}


def table(title, says, keys, *columns, width=24, height=10, sort=None):
    """A row for each value of the keys (label: heading), a column for each expression."""
    questions = [query(one["expression"], form="table", instant=True) for one in columns]
    values = ["Value" if len(columns) == 1 else f"Value #{chr(ord('A') + at)}" for at in range(len(columns))]
    named = {**keys, **{value: one["name"] for value, one in zip(values, columns) if one["name"]}}
    hidden = {"Time": True, **{value: True for value, one in zip(values, columns) if not one["name"]}}
    options = {"showHeader": True, "cellHeight": "sm", "frameIndex": 0}
    if sort:
        options["sortBy"] = [{"displayName": sort, "desc": True}]
    custom = {"align": "auto", "cellOptions": {"type": "auto"}, "inspect": False, "filterable": True}
    made = panel("table", title, says, "short", questions, width, height, options, custom)
    made["transformations"] = [
        {"id": "merge", "options": {}},
        {"id": "organize", "options": {"excludeByName": hidden, "includeByName": {},
                                       "indexByName": {name: at for at, name in enumerate(named)}, "renameByName": named}},
    ]
    made["fieldConfig"]["overrides"] = [override(one) for one in columns if one["name"]]
    if "instance" in keys:
        made["fieldConfig"]["overrides"].append(link_override(keys["instance"]))
    return made


def override(one):
    properties = [{"id": "unit", "value": one["unit"]}]
    if "levels" in one:
        properties += [{"id": "thresholds", "value": one["levels"]}, {"id": "custom.cellOptions", "value": {"type": "color-text"}}]
    return {"matcher": {"id": "byName", "options": one["name"]}, "properties": properties}


def link_override(heading):
    link = link_to_agent("${__value.text}")
    return {"matcher": {"id": "byName", "options": heading}, "properties": [{"id": "links", "value": [link]}]}


def row(title, *panels):
    """Panels under a heading, from left to right, and in the next line what has no more room."""
    return title, panels


def variable(name, label, values, several=True):
    """A choice among the values of a label, all of them at first."""
    everything = {"selected": True, "text": ["All"], "value": ["$__all"]} if several else {}
    return {"name": name, "label": label, "type": "query", "datasource": DATASOURCE, "refresh": 2, "sort": 1, "regex": "", "hide": 0,
            "query": {"qryType": 1, "query": f"label_values({whole(values)}, {name})", "refId": name},
            "includeAll": several, "allValue": ".*", "multi": several, "current": everything, "options": []}


def price(name, label, value):
    """A number that people set."""
    choice = {"selected": True, "text": value, "value": value}
    return {"name": name, "label": label, "type": "textbox", "query": value, "current": choice, "options": [choice], "hide": 0}


def window(*spans):
    """How far back rates and trends look; the first span at first."""
    choices = [{"selected": span == spans[0], "text": span, "value": span} for span in spans]
    return {"name": "window", "label": "Over", "type": "custom", "query": ",".join(spans), "current": choices[0], "options": choices,
            "includeAll": False, "multi": False, "hide": 0}


def datasource():
    return {"name": "datasource", "label": "Prometheus", "type": "datasource", "query": "prometheus", "regex": "", "refresh": 1, "hide": 0,
            "includeAll": False, "multi": False, "options": []}


def annotation(name, color, expression, title, text, tags):
    return {"name": name, "datasource": DATASOURCE, "enable": True, "hide": False, "iconColor": color, "expr": whole(expression),
            "step": "60s", "titleFormat": title, "textFormat": text, "tagKeys": tags}


ANNOTATIONS = [
    annotation("Versions", BLUE,
               """(count by (instance, version) (logdrive_build_info{job}) unless count by (instance, version) (logdrive_build_info{job} offset 5m))
                  and on (instance) count by (instance) (logdrive_build_info{job} offset 5m)""",
               "{{instance}} runs {{version}}", "Another version was started.", "instance,version"),
    annotation("Alerts", RED, 'ALERTS{alertname=~"Logdrive.*", alertstate="firing"}',
               "{{alertname}}", "{{instance}} {{task}}{{topic}}", "alertname,severity"),
]


def board(uid, title, says, variables, *rows, since="now-6h", refresh="30s", annotations=ANNOTATIONS):
    """A dashboard."""
    others = {"title": "logdrive", "type": "dashboards", "tags": ["logdrive"], "asDropdown": False, "includeVars": True, "keepTime": True,
              "targetBlank": False, "icon": "external link", "tooltip": "", "url": ""}
    return {"uid": uid, "title": title, "description": says, "tags": ["logdrive"], "schemaVersion": 42, "version": 1, "editable": True,
            "graphTooltip": 1, "refresh": refresh, "time": {"from": since, "to": "now"}, "timezone": "browser", "links": [others],
            "annotations": {"list": annotations}, "templating": {"list": [datasource(), *variables]}, "panels": laid_out(rows)}


def laid_out(rows):
    """The panels with their places in a grid of 24 columns, and their numbers."""
    placed, top = [], 0
    for title, panels in rows:
        placed.append({"type": "row", "title": title, "collapsed": False, "panels": [], "gridPos": {"x": 0, "y": top, "w": 24, "h": 1}})
        left, top, line = 0, top + 1, 0
        for one in panels:
            place = one["gridPos"]
            if left + place["w"] > 24:
                left, top, line = 0, top + line, 0
            placed.append({**one, "gridPos": {"x": left, "y": top, **place}})
            left, line = left + place["w"], max(line, place["h"])
        top += line
    return [{"id": number, **one} for number, one in enumerate(placed, 1)]
