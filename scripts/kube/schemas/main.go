// Command schemas writes what kubeconform validates against, one JSON schema for each kind of Kubernetes and of the given
// CustomResourceDefinitions. Fields that a kind does not have are refused at every level.
//
//	schemas FOLDER swagger.json [crd.yaml ...]
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"sigs.k8s.io/yaml"
)

type object = map[string]any

const definitionsPrefix = "#/definitions/"

func main() {
	if len(os.Args) < 3 {
		fail(fmt.Errorf("usage: schemas FOLDER swagger.json [crd.yaml ...]"))
	}
	folder := os.Args[1]
	fail(os.MkdirAll(folder, 0o755))
	builtIn(folder, read(os.Args[2]))
	for _, path := range os.Args[3:] {
		custom(folder, read(path))
	}
}

// builtIn writes a schema for each kind of the OpenAPI document, with the definitions that it reaches.
func builtIn(folder string, swagger object) {
	definitions := swagger["definitions"].(object)
	for name, definition := range definitions {
		definitions[name] = strict(special(name, definition))
	}
	for name, definition := range definitions {
		kinds, _ := definition.(object)["x-kubernetes-group-version-kind"].([]any)
		for _, each := range kinds {
			kind := each.(object)
			reached := object{}
			reach(definitions, name, reached)
			schema := object{"$ref": definitionsPrefix + name, "definitions": reached}
			write(folder, kind["kind"].(string), kind["group"].(string), kind["version"].(string), schema)
		}
	}
}

// custom writes a schema for each version of a CustomResourceDefinition.
func custom(folder string, definition object) {
	spec := definition["spec"].(object)
	kind := spec["names"].(object)["kind"].(string)
	for _, each := range spec["versions"].([]any) {
		version := each.(object)
		schema := version["schema"].(object)["openAPIV3Schema"].(object)
		// The API server knows what metadata is, the definition does not say it.
		schema["properties"].(object)["metadata"] = object{"type": "object", "x-kubernetes-preserve-unknown-fields": true}
		write(folder, kind, spec["group"].(string), version["name"].(string), strict(schema).(object))
	}
}

// special is what the OpenAPI document says with a format alone.
func special(name string, definition any) any {
	switch name {
	case "io.k8s.apimachinery.pkg.util.intstr.IntOrString":
		return object{"anyOf": []any{object{"type": "integer"}, object{"type": "string"}}}
	case "io.k8s.apimachinery.pkg.api.resource.Quantity":
		return object{"anyOf": []any{object{"type": "number"}, object{"type": "string"}}}
	}
	return definition
}

// strict refuses properties that an object does not name.
func strict(schema any) any {
	switch schema := schema.(type) {
	case []any:
		for index := range schema {
			schema[index] = strict(schema[index])
		}
	case object:
		for key, value := range schema {
			schema[key] = strict(value)
		}
		if _, isList := schema["properties"].(object); isList && open(schema) {
			schema["additionalProperties"] = false
		}
	}
	return schema
}

func open(schema object) bool {
	_, says := schema["additionalProperties"]
	keeps, _ := schema["x-kubernetes-preserve-unknown-fields"].(bool)
	_, isType := schema["type"].(string)
	return !says && !keeps && isType
}

func reach(definitions object, name string, reached object) {
	if _, known := reached[name]; known {
		return
	}
	reached[name] = definitions[name]
	references(definitions[name], func(other string) { reach(definitions, other, reached) })
}

func references(schema any, found func(string)) {
	switch schema := schema.(type) {
	case []any:
		for _, each := range schema {
			references(each, found)
		}
	case object:
		for key, value := range schema {
			if name, isText := value.(string); key == "$ref" && isText {
				found(strings.TrimPrefix(name, definitionsPrefix))
			} else {
				references(value, found)
			}
		}
	}
}

// write names the file as kubeconform asks for it: KIND-FIRST_PART_OF_GROUP-VERSION.json.
func write(folder, kind, group, version string, schema object) {
	suffix := "-" + version
	if group != "" {
		suffix = "-" + strings.Split(group, ".")[0] + suffix
	}
	bytes, err := json.Marshal(schema)
	fail(err)
	fail(os.WriteFile(filepath.Join(folder, strings.ToLower(kind+suffix)+".json"), bytes, 0o644))
}

func read(path string) object {
	bytes, err := os.ReadFile(path)
	fail(err)
	document := object{}
	fail(yaml.Unmarshal(bytes, &document))
	return document
}

func fail(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "schemas:", err)
		os.Exit(1)
	}
}
