//! The JSON Schema of tasklists, each command's arguments included.

use serde_json::{Map, Value, json};

/// The schema of a tasklist whose tasks are of these commands: name, what it does, schema of its arguments.
pub fn tasklist(commands: impl IntoIterator<Item = (String, String, Value)>) -> Value {
    let tasks: Vec<Value> = commands
        .into_iter()
        .map(|(name, about, schema)| task(&name, &about, &schema))
        .collect();
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Windlass tasklist",
        "type": "object",
        "required": ["name", "stages"],
        "additionalProperties": false,
        "properties": {
            "name": {"type": "string"},
            "stages": {"type": "array", "items": {"$ref": "#/$defs/stage"}},
            "plan": {"type": "object", "description": "Filled by a generator: digests of the config and of pinned files, locks, receipts, min_healthy."}
        },
        "$defs": {
            "stage": {
                "type": "object",
                "required": ["name", "concurrency", "tasks"],
                "additionalProperties": false,
                "properties": {
                    "name": {"type": "string"},
                    "concurrency": {"type": "integer", "minimum": 1, "description": "Tasks and chains that run at once."},
                    "concurrency_per_host": {"type": ["integer", "null"], "minimum": 1, "description": "Of these, on one host."},
                    "max_failures": {"type": ["integer", "null"], "minimum": 0, "description": "Tasks and chains that may fail before the stage fails."},
                    "finally": {"type": ["boolean", "null"], "description": "Runs whatever happened before."},
                    "tasks": {"type": "array", "items": {"anyOf": [
                        {"$ref": "#/$defs/task"},
                        {"type": "array", "minItems": 1, "items": {"$ref": "#/$defs/task"}, "description": "A chain: in order, in one slot."}
                    ]}}
                }
            },
            "task": {"oneOf": tasks}
        }
    })
}

fn task(name: &str, about: &str, schema: &Value) -> Value {
    let mut properties = Map::new();
    properties.insert("command".into(), json!({"const": name}));
    for (key, value) in engine_keys() {
        properties.insert(key.into(), value);
    }
    for (key, value) in schema["properties"].as_object().into_iter().flatten() {
        properties.insert(key.clone(), value.clone());
    }
    let mut required = vec![Value::from("command")];
    required.extend(schema["required"].as_array().into_iter().flatten().cloned());
    let mut task = json!({
        "type": "object",
        "description": about,
        "required": required,
        "additionalProperties": false,
        "properties": properties
    });
    if let (Some(defs), Some(task)) = (schema.get("$defs"), task.as_object_mut()) {
        task.insert("$defs".into(), defs.clone());
    }
    task
}

/// The engine's own keys of a task.
fn engine_keys() -> [(&'static str, Value); 7] {
    [
        (
            "remote_host",
            json!({"type": ["string", "null"], "description": "Where it acts; here without it."}),
        ),
        (
            "remote_user",
            json!({"type": ["string", "null"], "description": "As whom; else the config's user, else ssh_config's."}),
        ),
        (
            "tag",
            json!({"type": ["string", "null"], "description": "What it is about, for the log."}),
        ),
        (
            "use_sudo",
            json!({"type": ["boolean", "null"], "description": "Through sudo.", "default": false}),
        ),
        (
            "time_limit",
            json!({"type": ["integer", "null"], "minimum": 0, "description": "Seconds; 0 for none.", "default": 3600}),
        ),
        (
            "retries",
            json!({"type": ["integer", "null"], "minimum": 0, "description": "How often it is tried again.", "default": 0}),
        ),
        (
            "retry_delay",
            json!({"type": ["integer", "null"], "minimum": 0, "description": "Seconds between tries.", "default": 1}),
        ),
    ]
}
