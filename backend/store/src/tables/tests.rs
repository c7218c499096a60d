use super::*;

#[test]
fn every_table_sorts_by_columns_it_has_and_puts_the_day_first() {
    for table in Table::ALL {
        let (file, sql) = (table.file_schema(), table.sql_schema());
        assert_eq!(sql.fields().len(), file.fields().len() + 1);
        assert_eq!((sql.field(0).name().as_str(), sql.field(0).data_type()), ("day", &DataType::Date32));
        assert!(file.field_with_name("day").is_err(), "`day` stands in the path only");
        let named = table.sort_columns().iter().chain(table.stats_columns());
        for name in named.chain(table.time_column().as_ref()).chain(table.id_column().as_ref()) {
            let field = file.field_with_name(name).unwrap_or_else(|_| panic!("{table} has no `{name}`"));
            assert!(!field.is_nullable(), "`{name}` of {table}");
        }
        assert_eq!(Table::from_name(table.name()), Some(table));
        assert_eq!(Table::ALL[table as usize], table);
    }
}

#[test]
fn the_delta_schema_of_series_is_written_as_the_protocol_says() {
    let schema: Value = serde_json::from_str(&delta_schema(Table::Series).unwrap()).unwrap();
    let expected = json!({"type": "struct", "fields": [
        {"name": "day", "type": "date", "nullable": false, "metadata": {}},
        {"name": "tsid", "type": "long", "nullable": false, "metadata": {}},
        {"name": "metric", "type": "string", "nullable": false, "metadata": {}},
        {"name": "labels", "nullable": false, "metadata": {},
         "type": {"type": "map", "keyType": "string", "valueType": "string", "valueContainsNull": true}},
        {"name": "first_ts", "type": "timestamp", "nullable": false, "metadata": {}},
        {"name": "last_ts", "type": "timestamp", "nullable": false, "metadata": {}},
    ]});
    assert_eq!(schema, expected);
}

#[test]
fn lists_are_arrays_without_nulls() {
    let schema: Value = serde_json::from_str(&delta_schema(Table::Histograms).unwrap()).unwrap();
    let fields = schema["fields"].as_array().unwrap();
    let kind = |name: &str| &fields.iter().find(|field| field["name"] == name).unwrap()["type"];
    let array = |element: &str| json!({"type": "array", "elementType": element, "containsNull": false});
    assert_eq!((kind("positive_offsets"), kind("custom_bounds")), (&array("integer"), &array("double")));
}

#[test]
fn a_table_with_another_column_fits_and_one_with_another_type_does_not() {
    let ours = delta_schema(Table::Probes).unwrap();
    check_delta_schema(Table::Probes, &ours).unwrap();
    let mut more: Value = serde_json::from_str(&ours).unwrap();
    let fields = more["fields"].as_array_mut().unwrap();
    fields.push(json!({"name": "note", "type": "string", "nullable": true, "metadata": {}}));
    check_delta_schema(Table::Probes, &more.to_string()).unwrap();

    let other = ours.replacen("\"boolean\"", "\"string\"", 1);
    let error = check_delta_schema(Table::Probes, &other).unwrap_err().to_string();
    assert!(error.contains("column `success` has the type"), "{error}");
    let error = check_delta_schema(Table::Metrics, &ours).unwrap_err().to_string();
    assert!(error.contains("column `metric` is missing"), "{error}");
}

#[test]
fn the_map_builder_makes_the_map_type() {
    let mut builder = map_builder();
    builder.keys().append_value("a");
    builder.values().append_value("b");
    builder.append(true).unwrap();
    assert_eq!(arrow::array::Array::data_type(&builder.finish()), &map_type());
}
