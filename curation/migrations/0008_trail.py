"""The audit trail becomes a chain: each entry carries the hash of the one before."""

from django.db import migrations, models

CHAIN = r"""
CREATE FUNCTION curation_audit_content(entry curation_auditentry) RETURNS text LANGUAGE sql STABLE AS $$
    SELECT jsonb_build_array(
        entry.link, entry.previous, entry.project_id, entry.actor_id, entry.action, entry.subject, entry.detail,
        to_char(entry.at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')
    )::text
$$;
CREATE FUNCTION curation_audit_link() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    head record;
BEGIN
    -- One link at a time, until the end of the transaction: the next one reads what this one wrote.
    PERFORM pg_advisory_xact_lock(hashtext('curation_auditentry'));
    SELECT link, hash INTO head FROM curation_auditentry WHERE link IS NOT NULL ORDER BY link DESC LIMIT 1;
    NEW.link := coalesce(head.link, 0) + 1;
    NEW.previous := coalesce(head.hash, repeat('0', 64));
    NEW.hash := encode(sha256(convert_to(curation_audit_content(NEW), 'UTF8')), 'hex');
    RETURN NEW;
END $$;
"""
UNCHAIN = """
DROP FUNCTION curation_audit_link();
DROP FUNCTION curation_audit_content(curation_auditentry);
"""
# Entries from before join the chain in their order; the database refuses their change otherwise.
JOIN = """
ALTER TABLE curation_auditentry DISABLE TRIGGER append_only;
DO $$
DECLARE
    entry curation_auditentry;
    head text := repeat('0', 64);
    number bigint := 0;
BEGIN
    FOR entry IN SELECT * FROM curation_auditentry ORDER BY id LOOP
        number := number + 1;
        entry.link := number;
        entry.previous := head;
        head := encode(sha256(convert_to(curation_audit_content(entry), 'UTF8')), 'hex');
        UPDATE curation_auditentry SET link = entry.link, previous = entry.previous, hash = head WHERE id = entry.id;
    END LOOP;
END $$;
ALTER TABLE curation_auditentry ENABLE TRIGGER append_only;
CREATE TRIGGER link BEFORE INSERT ON curation_auditentry FOR EACH ROW EXECUTE FUNCTION curation_audit_link();
"""


class Migration(migrations.Migration):
    dependencies = [("curation", "0007_releases")]

    operations = [
        migrations.AddField(
            "auditentry", "link", models.PositiveBigIntegerField(null=True, unique=True, editable=False)
        ),
        migrations.AddField(
            "auditentry",
            "previous",
            models.CharField(blank=True, default="", editable=False, max_length=64),
            preserve_default=False,
        ),
        migrations.AddField(
            "auditentry",
            "hash",
            models.CharField(blank=True, default="", editable=False, max_length=64),
            preserve_default=False,
        ),
        migrations.RunSQL(CHAIN, UNCHAIN),
        migrations.RunSQL(JOIN, "DROP TRIGGER link ON curation_auditentry"),
    ]
