CREATE TABLE long_term_memories (
                        id INTEGER PRIMARY KEY AUTOINCREMENT,
                        task_description TEXT,
                        metadata TEXT,
                        datetime TEXT,
                        score REAL
                    );
INSERT INTO long_term_memories VALUES (1, 'I am allergic to nuts. Book a table.', '{"suggestions": ["answer in one line"], "quality": 8.0, "agent": "Concierge", "expected_output": "A short answer"}', '1795974193.4651277', 8.0);
INSERT INTO long_term_memories VALUES (2, 'Which wine do I like? Final Answer: red?', '{"suggestions": ["answer in one line"], "quality": 8.0, "agent": "Concierge", "expected_output": "A short answer"}', '1795974194.9715564', 8.0);
