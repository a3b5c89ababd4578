-- Orders that count, by the day they were made. Refreshed when silver.orders has changed.
SELECT CAST(created_at AS DATE) AS day,
       count(*) AS orders,
       CAST(coalesce(sum(price), 0) AS DECIMAL(18, 2)) AS revenue
FROM silver.orders
WHERE NOT _is_deleted
  AND status NOT IN ('cart', 'cancelled', 'returned')
GROUP BY ALL
ORDER BY day
